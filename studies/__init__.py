"""The science of goldenbench: nothing here knows of HTTP, SQL, Optuna or Dask."""
