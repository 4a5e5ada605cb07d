"""What the functions of this project share: event contracts, publishing, settings, clients and the two errors."""
