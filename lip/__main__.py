from lip.cli import main

main()
