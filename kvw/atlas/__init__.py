"""What is known of a synthesiser's voices from samples: which style speaks with which speaker's embedding."""
