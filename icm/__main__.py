"""`python -m icm`, the same as the command `icm`."""

import sys

from icm.cli import main

sys.exit(main())
