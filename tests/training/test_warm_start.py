import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from aligncap.training.warm_start import drop_frames, fit_linear_head, match_prior, pad_states, summaries


def test_linear_head_is_logistic_regression_where_labels_are_plain() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5)).astype(np.float32)
    y = (x @ rng.normal(size=(5, 3)) + rng.normal(size=(200, 3))).argmax(1)
    targets = torch.nn.functional.one_hot(torch.tensor(y), 3).bool()
    penalty = 0.01
    weight, bias = fit_linear_head(
        torch.tensor(x), targets, torch.ones_like(targets), torch.ones(200), penalty
    )
    # scikit-learn minimises C * sum of losses + half the squared norm
    reference = LogisticRegression(C=1 / (2 * penalty * 200), tol=1e-8, max_iter=1000).fit(x, y)
    ours = (torch.tensor(x) @ weight.T + bias).softmax(-1).numpy()
    np.testing.assert_allclose(ours, reference.predict_proba(x), atol=2e-3)


def test_match_prior_reaches_the_prior_and_keeps_the_order_within_a_class() -> None:
    logits = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * 3
    weights = torch.rand(500, generator=torch.Generator().manual_seed(1))
    prior = torch.tensor([1.0, 0.2, 2.0, 1.0])
    bias = match_prior(logits, weights, prior)
    mean = ((logits + bias).softmax(-1) * weights[:, None]).sum(0) / weights.sum()
    torch.testing.assert_close(mean, prior / prior.sum(), rtol=1e-3, atol=1e-4)


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
