"""What phototag remembers: rows, bytes and features. Knows no framework above it."""
