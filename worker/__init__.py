"""What phototag infers: intake, decoding, the network and the tagging pipeline."""
