"""What `countersign doctor` finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `remedy` is empty where all is well."""

    subject: str
    detail: str
    remedy: str = ""
    fatal: bool = True

    def line(self) -> str:
        """As it is printed, with what to do on a line of its own."""
        if not self.remedy:
            return f"ok    {self.subject}: {self.detail}"
        word = "FAIL" if self.fatal else "warn"
        return f"{word}  {self.subject}: {self.detail}\n      -> {self.remedy}"
