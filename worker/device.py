"""The device that networks run on: the only place that knows TensorFlow. `python -m worker.device` describes it."""
# pyright: basic

import json
import math
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

# Before the first import of either: Keras reads its backend once, TensorFlow prints its start-up notes once.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

CPU_CHUNK = 16
GPU_CHUNK = 64
# Tensor cores, which make float16 worth it, came with this compute capability (Volta).
MIXED_PRECISION_FROM = (7, 0)

OUT_OF_MEMORY: type[Exception] = tf.errors.ResourceExhaustedError


@cache
def prepare() -> bool:
    """Configures the device, once per process and before any network is built; returns whether it is a GPU."""
    cores = usable_cores()
    tf.config.threading.set_intra_op_parallelism_threads(cores)
    tf.config.threading.set_inter_op_parallelism_threads(min(cores, 2))  # the network is one chain of layers
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)  # else the first process takes all of it
    # whatever keras.json in the home directory says
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("mixed_float16" if _has_tensor_cores(gpus) else "float32")
    return bool(gpus)


def device_name() -> str:
    """What a person calls the device, e.g. "GPU NVIDIA L4" or "CPU, 2 cores"."""
    if prepare():
        details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
        return f"GPU {details.get('device_name', 'unknown')}"[:80]
    cores = usable_cores()
    return f"CPU, {cores} core{'s' if cores > 1 else ''}"


def default_chunk_size() -> int:
    """Photos given to the network at once when no setting says so."""
    return GPU_CHUNK if prepare() else CPU_CHUNK


def compiled(network: keras.Model) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[Any]]:
    """The network as one graph call for uint8 photos of its input's shape.

    XLA only on a GPU. On 2 cores photo for photo the graph is as quick as predict (4.3-4.5 a second) without predict's
    overhead for a single one, and takes any number of photos: a chunk of 1 costs 1/16 of a chunk of 16.
    """
    signature = [tf.TensorSpec((None, *network.input_shape[1:]), tf.uint8)]
    jit = prepare()
    call = tf.function(lambda pixels: network(pixels, training=False), signature, autograph=False, jit_compile=jit)
    return lambda pixels: call(tf.constant(pixels)).numpy()


def describe() -> dict[str, Any]:
    """The device and the versions behind it, for `phototag doctor`."""
    is_gpu = prepare()
    return {
        "device": device_name(),
        "gpu": is_gpu,
        "cores": usable_cores(),
        "chunk_size": default_chunk_size(),
        "precision": keras.config.dtype_policy().name,
        "xla": is_gpu,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }


def usable_cores() -> int:
    """Cores this process may use: its affinity, and a container's CPU quota (TensorFlow looks only at the first)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))


def _has_tensor_cores(gpus: list[Any]) -> bool:
    capabilities = [tf.config.experimental.get_device_details(gpu).get("compute_capability") for gpu in gpus]
    return bool(gpus) and all(capability and capability >= MIXED_PRECISION_FROM for capability in capabilities)


if __name__ == "__main__":
    json.dump(describe(), sys.stdout, indent=1)
    sys.stdout.write("\n")
