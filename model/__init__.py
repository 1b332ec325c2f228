"""What decides a label: label names, encoding, network, bundles."""
