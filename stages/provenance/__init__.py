"""provenance: say of what published archives are made: statements, a bill of materials, and a notice of licences.

Pure, but for `inputs`: the same manifests, params, locks and commit give the same bytes. They name the locks and the
commit, so they are made when something is published, and by ``python -m stages.provenance``; no stage makes them.
"""
