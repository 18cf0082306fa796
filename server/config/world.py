"""Where we are: environment, current folder, the user's folders. Read once, at the start, and passed on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .environment import clean
from .load import Folders, Loaded, load


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside that a configuration may depend on."""

    environment: Mapping[str, str]
    cwd: Path
    folders: Folders
    config: Path | None = None

    def load(self) -> Loaded:
        """The configuration as it is now. Raises ConfigFault."""
        return load(self.config, self.environment, self.folders, self.cwd / "plenum.toml")


def world(config: Path | None = None) -> World:
    """The world of this process. `PLENUM_HOME` puts configuration and data into one folder (tests, containers)."""
    environment = dict(os.environ)
    return World(environment, Path.cwd(), _folders(environment), config)


def _folders(environment: Mapping[str, str]) -> Folders:
    if home := clean(environment.get("PLENUM_HOME")):
        return Folders(Path(home).expanduser(), Path(home).expanduser())
    from platformdirs import PlatformDirs

    dirs = PlatformDirs("plenum", appauthor=False)
    return Folders(Path(dirs.user_config_dir), Path(dirs.user_data_dir))
