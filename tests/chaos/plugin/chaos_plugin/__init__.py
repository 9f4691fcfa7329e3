"""A model and a data set for fault injection, registered as any other package's; never installed."""
