"""The one exception that means: what the user gave cannot be used."""


class InputError(Exception):
    """Bad input, explained in one line.

    The message names what was expected, what was received, where, and what to do about it.
    Stage commands print it and exit with status 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
