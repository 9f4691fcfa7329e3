"""A study from Python: submit it, wait, read the answer, keep a picture. Run by the tests; cells start with `# %%`."""

# %% The client finds the service that runs on the data folder (./var, or GOLDENBENCH_DATA), or takes an address.
from pathlib import Path

from service.client import Client

client = Client()

# %% Submitting again with the same key gives the same study, so this cell can be run twice.
spec = {
    "name": "from Python",
    "dataset": "rotated-digits",
    "loss": "cross-entropy",
    "grid": {"learning_rate": {"factor": 2, "steps": 1}, "momentum": {"factor": 2, "steps": 1}},
    "references": ["matlab"],
    "folds_used": 2,
    "runs": 1,
    "epochs": 1,
}
print(f"{client.estimate(spec)['trainings']} trainings")
study = client.submit(spec, key="example-1")

# %% Waiting tells each state on the way.
ended = client.wait(study["id"], lambda now: print(now["status"], f"{now['progress']['fraction']:.0%}"))
assert ended["status"] == "completed", ended["reason"]

# %% The answer.
answer = client.comparison(study["id"])
regret = answer["regret"]
print(answer["sentence"])
print(f"regret {regret['estimate']:.4f}, cross-fitted {regret['cross_fitted']:.4f}")
print(f"{answer['confidence']:.0%} interval {regret['low']:.4f} to {regret['high']}")

# %% Every training as a table of pandas (`client.replicates` gives plain dictionaries).
frame = client.replicates_frame(study["id"])
print(frame.groupby(["learning_rate", "momentum"])["accuracy"].agg(["mean", "std", "count"]))

# %% The landscape as a file.
Path("landscape.svg").write_bytes(client.plot(study["id"], "heatmap", "svg"))
client.close()
