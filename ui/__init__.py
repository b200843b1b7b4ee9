"""What people touch: the web application, its routes and the command line. Never TensorFlow."""
