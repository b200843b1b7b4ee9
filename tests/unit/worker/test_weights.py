"""VGG16's weights as arrays: seeded ones are the same everywhere, files are read with suspicion."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from db.errors import ArtifactError
from worker import weights
from worker.weights import CONVOLUTIONS, TOP, read_convolutions, read_top, seeded_weights, weights_sha256

FIRST, LAST = "block1_conv1", "block5_conv3"


def write_named(path: Path, layers: list[weights.LayerWeights]) -> None:
    """As Keras 1 and 2 publish: a group for each layer, arrays named after it."""
    with h5py.File(path, "w") as file:
        for name, (kernel, bias) in zip(CONVOLUTIONS, layers, strict=True):
            file[f"{name}/{name}_W_1:0"] = kernel
            file[f"{name}/{name}_b_1:0"] = bias
        file.create_group("block5_pool")


def write_numbered(path: Path, layers: list[weights.LayerWeights]) -> None:
    """As Keras 3 saves weights: layers numbered by kind."""
    with h5py.File(path, "w") as file:
        for number, (kernel, bias) in enumerate(layers):
            group = f"layers/conv2d_{number}/vars" if number else "layers/conv2d/vars"
            file[f"{group}/0"] = kernel
            file[f"{group}/1"] = bias


def write_hollow(path: Path) -> None:
    """A file of the right shapes and zeros that takes no space: for what goes wrong, contents do not matter."""
    with h5py.File(path, "w") as file:
        for name, channels in CONVOLUTIONS.items():
            file.create_dataset(f"{name}/kernel", (3, 3, *channels), "f4")
            file.create_dataset(f"{name}/bias", channels[1:], "f4")


def test_seeded_weights_are_the_same_everywhere() -> None:
    """The hash is asserted inside; here: shapes, He-normal spread, no bias."""
    layers = seeded_weights()

    assert weights_sha256(layers) == weights.SEEDED_SHA256
    for (kernel, bias), (channels_in, channels_out) in zip(layers, CONVOLUTIONS.values(), strict=True):
        assert kernel.shape == (3, 3, channels_in, channels_out)
        assert kernel.std() == pytest.approx((2 / (9 * channels_in)) ** 0.5, rel=0.05)
        assert not bias.any()


def test_the_hash_is_of_the_values_whatever_the_file(tmp_path: Path) -> None:
    """The same weights in two layouts are one feature space; one changed value is another."""
    layers = seeded_weights()
    write_named(tmp_path / "named.h5", layers)
    write_numbered(tmp_path / "numbered.h5", layers)

    assert weights_sha256(read_convolutions(tmp_path / "named.h5")) == weights.SEEDED_SHA256
    assert weights_sha256(read_convolutions(tmp_path / "numbered.h5")) == weights.SEEDED_SHA256
    layers[-1][1][0] = 1.0
    assert weights_sha256(layers) != weights.SEEDED_SHA256


def test_the_top_is_read_beside_the_convolutions(tmp_path: Path) -> None:
    """fc1, fc2 and predictions of a full file, in this order."""
    path = tmp_path / "full.h5"
    write_hollow(path)
    with h5py.File(path, "a") as file:
        for number, (name, shape) in enumerate(TOP.items()):
            file.create_dataset(f"{name}/{name}_W_1:0", shape, "f4")
            file.create_dataset(f"{name}/{name}_b_1:0", shape[1:], "f4", fillvalue=number)

    layers = read_top(path)

    assert [kernel.shape for kernel, _ in layers] == list(TOP.values())
    assert [float(bias[0]) for _, bias in layers] == [0.0, 1.0, 2.0]
    assert len(read_convolutions(path)) == 13


def _change(action: Callable[[Any, Path], object]) -> Callable[[Path], None]:
    def breaks(path: Path) -> None:
        with h5py.File(path, "a") as file:
            action(file, path)

    return breaks


def _external_values(file: h5py.File, path: Path) -> None:
    del file[f"{FIRST}/bias"]
    file.create_dataset(f"{FIRST}/bias", (64,), "f4", external=[(str(path.with_name("secret")), 0, 256)])


def _virtual(file: h5py.File, path: Path) -> None:
    del file[f"{FIRST}/bias"]
    layout = h5py.VirtualLayout((64,), "f4")
    layout[:] = h5py.VirtualSource(str(path.with_name("other.h5")), "x", (64,))
    file.create_virtual_dataset(f"{FIRST}/bias", layout)


def _other_shape(file: h5py.File, _: Path) -> None:
    del file[f"{LAST}/kernel"]
    file.create_dataset(f"{LAST}/kernel", (10**6, 10**6), "f4")


def _replace(name: str, link: object) -> Callable[[Path], None]:
    def action(file: h5py.File, _: Path) -> None:
        del file[name]
        file[name] = link

    return _change(action)


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: path.unlink(), "No such file|unable to open"),
    (lambda path: path.write_bytes(b"not hdf5 at all"), "file signature not found"),
    (lambda path: path.write_bytes(path.read_bytes()[:3000]), "truncated|signature|unable|can't"),
    (_change(lambda file, _: file.__delitem__(LAST)), "has no layer block5_conv3"),
    (_change(lambda file, _: file[FIRST].create_dataset("more", (64,), "f4")), "must hold"),
    (_change(_other_shape), "must hold"),
    (_change(lambda file, _: file[f"{FIRST}/bias"].__setitem__(3, np.nan)), "block1_conv1 holds values that are"),
    (
        _change(lambda file, _: file[f"{LAST}/kernel"].__setitem__((0, 0, 0, 0), np.inf)),
        "block5_conv3 holds values",
    ),
    (_replace(f"{FIRST}/bias", h5py.SoftLink(f"/{LAST}/bias")), "points outside itself"),
    (_replace(f"{FIRST}/bias", h5py.ExternalLink("other.h5", "/x")), "points outside itself"),
    (_replace(FIRST, h5py.ExternalLink("other.h5", "/x")), "has no layer"),
    (_change(_external_values), "points to values in other files"),
    (_change(_virtual), "points to values in other files"),
]


@pytest.mark.parametrize(("breaks", "message"), BROKEN)
def test_a_file_that_is_not_a_vgg16_is_refused(tmp_path: Path, breaks: Callable[[Path], object], message: str) -> None:
    """Missing, damaged, of another network, poisoned, or pointing elsewhere."""
    path = tmp_path / "weights.h5"
    write_hollow(path)
    read_convolutions(path)
    breaks(path)

    with pytest.raises(ArtifactError, match=message) as caught:
        read_convolutions(path)

    assert "as Keras publishes it was expected" in str(caught.value)
