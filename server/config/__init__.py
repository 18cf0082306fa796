"""The configuration: the only reader of the file and of the environment. Pydantic here, frozen values inside."""

from .errors import ConfigFault, Finding
from .load import Loaded, load
from .models import Config

__all__ = ["Config", "ConfigFault", "Finding", "Loaded", "load"]
