"""From features to an artifact that loads and gives the scores it was made with."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from training import tiny
from training.build import Draft, Trials, build_version
from training.dataset import FeatureSet
from training.starter import notice_of
from worker.artifact import PACKAGE_DIR, read_artifact, read_card
from worker.backbone import TinyBackbone
from worker.card import BackboneCard
from worker.classifier import load_classifier
from worker.heads import linear_head, softmax
from worker.settings import WorkerSettings
from worker.tiny import LAYER, TINY_SHA256


def feature_set(count: int, *, seed: int) -> FeatureSet:
    photos, targets = tiny.generated_photos(count, seed=seed)
    return FeatureSet(list(tiny.COLOURS), TinyBackbone().features(photos), targets, refused=0)


@pytest.mark.parametrize("head", ["gap", "flatten"])
def test_a_version_is_built_and_loads(tmp_path: Path, head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitted, calibrated, measured, written; its canary photos hold at load."""
    monkeypatch.setattr("worker.artifact.PACKAGE_DIR", tmp_path)
    backbone = BackboneCard(architecture="tiny", weights="none", weights_sha256=TINY_SHA256, layer=LAYER)
    draft = Draft("colours", "For this test.", TinyBackbone(), backbone)
    trials = Trials(heads=(head,), strengths=(1e-2,))  # type: ignore[arg-type]
    said: list[str] = []

    card = build_version(
        tmp_path / "colours", draft, feature_set(12, seed=5), feature_set(6, seed=6), trials, said.append
    )

    classifier = load_classifier(WorkerSettings(), tmp_path, "package:colours", card.model_dump(mode="json"))
    validation = feature_set(6, seed=6)
    right = classifier.predict(validation.features).argmax(axis=1) == validation.targets
    assert right.mean() == pytest.approx(card.metrics["validation"]["top1"], abs=1e-4)
    assert right.mean() > 0.6
    assert card.trained_from["photos"] == 72
    assert len(said) == 1


def test_no_path_of_this_machine_gets_into_a_card() -> None:
    """What ships says classes and counts, never where the photos lay."""
    for folder in PACKAGE_DIR.iterdir():
        text = (folder / "card.json").read_text()
        assert "/home" not in text
        assert "/work" not in text
        assert "/tmp" not in text


def test_the_tiny_version_can_be_made_again(tmp_path: Path) -> None:
    """What ships comes from the program beside it: same labels, and scores that differ by rounding only."""
    result = CliRunner().invoke(tiny.main, ["--out", str(tmp_path / "tiny")])
    assert result.exit_code == 0, result.output

    made, shipped = read_artifact(tmp_path / "tiny"), read_artifact(PACKAGE_DIR / "tiny")

    assert made.card.labels == shipped.card.labels
    assert made.card.threshold == pytest.approx(shipped.card.threshold, abs=0.02)
    features = feature_set(4, seed=9).features
    scores = [softmax(linear_head(version).logits(features), version.card.temperature) for version in (made, shipped)]
    np.testing.assert_allclose(scores[0], scores[1], atol=0.02)


def test_the_notice_of_a_starter_says_that_it_is_weak() -> None:
    """And what to do about it, and what it knows."""
    notice = notice_of(feature_set(1, seed=0))

    assert "weak" in notice
    assert "phototag models fetch imagenet" in notice
    assert "6 kinds (blue, bright, dark, green, grey, red)" in notice
    assert "weak" in read_card(PACKAGE_DIR / "starter").notice
