"""Why a service cannot be run here."""


class UnavailableError(Exception):
    """This machine cannot run a service. The message says what is missing and the remedy."""
