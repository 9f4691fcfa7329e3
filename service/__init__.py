"""What a user touches: the REST service, its store, its dispatcher, pages and command line."""
