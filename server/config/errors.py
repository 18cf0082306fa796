"""A wrong configuration, said so that one can mend it: file, key, line, nearest valid key."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault. `line` is 1-based, 0 where there is none (an environment variable, a missing key)."""

    file: str
    key: str
    line: int
    message: str
    nearest: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        hint = f" Did you mean `{self.nearest}`?" if self.nearest else ""
        return f"{where}: {self.key}: {self.message}.{hint}"


class ConfigFault(Exception):
    """Nothing was loaded. `findings` names every fault; the old configuration stays in force where there is one."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = findings
