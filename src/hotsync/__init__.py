"""HotSync: warm standby of a whole Linux server."""

import os

# what runs as root takes no other package's code into its checks; and looking for some is a tenth of a command's start
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

__version__ = "3.0.0"
