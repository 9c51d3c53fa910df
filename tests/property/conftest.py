"""How hypothesis runs here: an example may take its time on a busy machine; a slow suite shows in its total."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
