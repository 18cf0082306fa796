"""What is wrong with the vault, in words that name no key."""


class VaultFault(Exception):
    """The vault cannot be used. `hint` is the exact next thing to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.args[0]} {self.hint}"
