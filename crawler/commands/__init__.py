"""One file a subcommand; click and tqdm live here and nowhere else in crawler."""
