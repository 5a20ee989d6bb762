"""``python -m gateway.cli``, where the script is not installed."""

import sys

from gateway.cli import main

sys.exit(main())
