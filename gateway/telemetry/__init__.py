"""What operators see: `logs` (structured lines on stderr) and `request_id` (the thread through them)."""
