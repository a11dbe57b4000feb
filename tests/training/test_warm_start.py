import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from aligncap.training.warm_start import drop_frames, fit_linear_head, pad_states, summaries


def test_linear_head_is_logistic_regression_where_labels_are_plain() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5)).astype(np.float32)
    y = (x @ rng.normal(size=(5, 3)) + rng.normal(size=(200, 3))).argmax(1)
    targets = torch.nn.functional.one_hot(torch.tensor(y), 3).bool()
    penalty = 0.01
    weight, bias = fit_linear_head(torch.tensor(x), targets, torch.ones_like(targets), torch.ones(200), penalty)
    # scikit-learn minimises C * sum of losses + half the squared norm
    reference = LogisticRegression(C=1 / (2 * penalty * 200), tol=1e-8, max_iter=1000).fit(x, y)
    ours = (torch.tensor(x) @ weight.T + bias).softmax(-1).numpy()
    np.testing.assert_allclose(ours, reference.predict_proba(x), atol=2e-3)


def test_unrestricted_share_blends_the_two_losses() -> None:
    """With a share of 1 the corpus's label set no longer matters; with 0 a class that no corpus labels is free."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=generator)
    labels = (x[:, 0] > 0).long()
    targets = torch.nn.functional.one_hot(labels, 3).bool()
    allowed = torch.tensor([True, True, False]).repeat(60, 1)
    everything = torch.ones_like(allowed)
    weights = torch.ones(60)
    whole = fit_linear_head(x, targets, allowed, weights, 0.01, 1.0)
    for ours, reference in zip(whole, fit_linear_head(x, targets, everything, weights, 0.01), strict=True):
        torch.testing.assert_close(ours, reference, atol=1e-3, rtol=1e-3)
    free = [
        float((x @ weight.T + bias).softmax(-1)[:, 2].mean())
        for weight, bias in (fit_linear_head(x, targets, allowed, weights, 0.01, share) for share in (0.0, 0.1))
    ]
    assert free[0] > 0.15
    assert free[1] < 0.05


def test_padding_and_means_are_of_each_clip_alone() -> None:
    clips = [np.random.default_rng(n).normal(size=(n, 2, 3)).astype(np.float16) for n in (4, 9)]
    states, mask = pad_states(clips)
    assert states.shape == (2, 9, 2, 3)
    assert mask.sum(1).tolist() == [4, 9]
    expected = np.stack([clip.astype(np.float32).mean(0).reshape(-1) for clip in clips])
    np.testing.assert_allclose(summaries(clips).numpy(), expected, atol=1e-6)


def test_dropped_frames_are_one_stretch_and_at_least_two_stay() -> None:
    rng = np.random.default_rng(0)
    clip = np.arange(20, dtype=np.float16)[:, None, None]
    for _ in range(100):
        kept = drop_frames(clip, 0.5, rng)[:, 0, 0].tolist()
        assert len(kept) >= 10
        missing = sorted(set(range(20)) - {int(k) for k in kept})
        assert missing == list(range(missing[0], missing[0] + len(missing))) if missing else True
    assert len(drop_frames(clip[:2], 0.9, rng)) == 2
