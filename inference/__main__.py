import sys

from pagelabel.cli import main

sys.exit(main())
