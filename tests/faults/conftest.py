"""The campaign is a script as well: its modules find each other by their folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
