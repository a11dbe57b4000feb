"""Corpora: rows, manifests of them, and whether a manifest is fit for use."""

from __future__ import annotations

from aligncap.corpora.check import Checked, Report, check_manifest, survey_manifest, taxonomy_label
from aligncap.corpora.dataset import from_dataset
from aligncap.corpora.folder import from_folder
from aligncap.corpora.manifest import read_manifest, write_manifest
from aligncap.corpora.paths import audio_path, rebase
from aligncap.corpora.problems import ManifestError, Problem
from aligncap.corpora.row import Row

__all__ = [
    "Checked",
    "ManifestError",
    "Problem",
    "Report",
    "Row",
    "audio_path",
    "check_manifest",
    "from_dataset",
    "from_folder",
    "read_manifest",
    "rebase",
    "survey_manifest",
    "taxonomy_label",
    "write_manifest",
]
