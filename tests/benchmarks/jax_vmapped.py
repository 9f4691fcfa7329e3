"""K networks at once by JAX: the gradient of one network mapped over them, step and evaluation jitted."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray
from task import BATCH, CHUNK, DECAY, MOMENTUM, Task, flat

from studies.models.paper_cnn import BN_EPSILON, FILTERS

Parameters = dict[str, jax.Array]


class JaxVmap:
    """Networks that share images and order, each with its own learning rate; images and features are channels-last.

    Args:
        networks: K.
    """

    differs = "decays biases too"

    def __init__(self, task: Task, networks: int, batches: int) -> None:
        self.name, self.networks, self._batches, self._task = "JAX vmap, jitted", networks, batches, task
        data = task.data
        self._train = jnp.moveaxis(jnp.asarray(data.train_images.numpy()), 1, 3), jnp.asarray(data.train_labels.numpy())
        self._test = jnp.moveaxis(jnp.asarray(data.test_images.numpy()), 1, 3), jnp.asarray(data.test_labels.numpy())
        self._order = [jnp.asarray(batch) for batch in task.order]

    def begin(self, learning_rate: float) -> None:
        initial = {name: value.detach().numpy() for name, value in self._task.model().named_parameters()}
        filters, output = initial["convolution.weight"], initial["output.weight"]
        height, width = (side - 4 for side in self._task.dataset.image_shape)
        initial["convolution.weight"] = filters.transpose(2, 3, 1, 0)
        initial["output.weight"] = (
            output.reshape(-1, FILTERS, height, width).transpose(2, 3, 1, 0).reshape(-1, len(output))
        )
        self._parameters = {name: jnp.stack([jnp.asarray(value)] * self.networks) for name, value in initial.items()}
        self._velocity = jax.tree.map(jnp.zeros_like, self._parameters)
        self._rates = jnp.full((self.networks,), learning_rate)
        self._at = 0
