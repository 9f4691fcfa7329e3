"""K networks at once by JAX: the gradient of one network mapped over them, step and evaluation jitted."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray
from task import BATCH, CHUNK, DECAY, MOMENTUM, Task

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

    def step(self) -> None:
        self._parameters, self._velocity = _step(
            self._parameters, self._velocity, self._rates, *self._train, self._order[self._at]
        )
        self._at = (self._at + 1) % len(self._order)

    def parameters(self, network: int) -> dict[str, NDArray[np.float32]]:
        found = {name: np.asarray(value[network]) for name, value in self._parameters.items()}
        height, width = (side - 4 for side in self._task.dataset.image_shape)
        output = found["output.weight"]
        found["convolution.weight"] = found["convolution.weight"].transpose(3, 2, 0, 1)
        found["output.weight"] = output.reshape(height, width, FILTERS, -1).transpose(3, 2, 0, 1)
        return {name: value.ravel().copy() for name, value in found.items()}

    def turn(self) -> int:
        for _ in range(self._batches):
            self.step()
        self._evaluate().block_until_ready()
        return self.networks * self._batches * BATCH

    def _evaluate(self) -> jax.Array:
        """Test images that each network classifies rightly, [K]."""
        images, test = self._train[0], self._task.share(self._task.data.test_images, self._batches)
        last = self._task.share(self._task.data.train_images, self._batches)
        # Whole chunks only, as each new shape is compiled anew.
        sums = sum(_moments(self._parameters, images[at : at + CHUNK]) for at in range(0, last, CHUNK))
        correct: jax.Array = _correct(
            self._parameters, sums / -(-last // CHUNK), self._test[0][:test], self._test[1][:test]
        )
        return correct


def _convolution(parameters: Parameters, images: jax.Array) -> jax.Array:
    features = lax.conv_general_dilated(
        images, parameters["convolution.weight"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return features + parameters["convolution.bias"]


def _logits(parameters: Parameters, images: jax.Array, moments: jax.Array | None = None) -> jax.Array:
    """By the batch's own statistics, or the given ones, [2, F], mean and mean square."""
    features = _convolution(parameters, images)
    mean, square = _of(features) if moments is None else moments
    scale = parameters["norm.weight"] / jnp.sqrt(square - mean**2 + BN_EPSILON)
    features = jax.nn.relu((features - mean) * scale + parameters["norm.bias"])
    return features.reshape(len(images), -1) @ parameters["output.weight"] + parameters["output.bias"]


def _of(features: jax.Array) -> jax.Array:
    return jnp.stack([features.mean((0, 1, 2)), (features**2).mean((0, 1, 2))])


def _loss(parameters: Parameters, images: jax.Array, labels: jax.Array) -> jax.Array:
    scores = jax.nn.log_softmax(_logits(parameters, images))
    return -jnp.take_along_axis(scores, labels[:, None], 1).mean()


@partial(jax.jit, donate_argnums=(0, 1))
def _step(
    parameters: Parameters,
    velocity: Parameters,
    rates: jax.Array,
    images: jax.Array,
    labels: jax.Array,
    batch: jax.Array,
) -> tuple[Parameters, Parameters]:
    gradients = jax.vmap(jax.grad(_loss), in_axes=(0, None, None))(parameters, images[batch], labels[batch])
    velocity = jax.tree.map(lambda v, g, p: MOMENTUM * v + g + DECAY * p, velocity, gradients, parameters)
    move = jax.vmap(lambda p, v, rate: jax.tree.map(lambda a, b: a - rate * b, p, v))
    return move(parameters, velocity, rates), velocity


@jax.jit
def _moments(parameters: Parameters, images: jax.Array) -> jax.Array:
    return jax.vmap(lambda p: _of(_convolution(p, images)))(parameters)


@jax.jit
def _correct(parameters: Parameters, moments: jax.Array, images: jax.Array, labels: jax.Array) -> jax.Array:
    logits = jax.vmap(_logits, in_axes=(0, None, 0))(parameters, images, moments)
    return (logits.argmax(-1) == labels).sum(-1)
