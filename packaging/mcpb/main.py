"""What a host starts: the installed command."""

from server.__main__ import main

main()
