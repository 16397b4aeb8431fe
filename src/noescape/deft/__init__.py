"""The improvement loop: what the change classifier misses, why, and a better one by morning.

Every stage is a function from files to files that returns a small frozen record, the same for the same seed:

    parse_target(text) -> Target                                                        (target.py)
    gate(kpi, target) -> Verdict;  gate_csv(inference_csv, target)                      (gate.py)
    rca(inference_csv, train_spec, out, ...) -> Rca                                     (rca.py)
    route(kpi_gaps, pool_csv, generator_types, out) -> Routed                           (route.py)
    build_pool(workspace, out, spec) -> Manifest;  read_manifest;  check_unchanged      (pool.py)
    generate_inline(gaps, training_csv, spec, workspace, out, ...) -> Inline            (generate.py)
    mine(targets, pool, out, ...) -> Mined                                              (mine.py)
    assemble(previous, mined, out, iteration=..., workspace=...) -> Assembled           (assemble.py)
    validate(csv, spec, workspace) -> problems;  require_valid                          (validate.py)
    leakage(train, holdouts, ...) -> Findings;  require_clean                           (leakage.py)
    export_labels, import_labels                                                        (labels.py)
    plan_samples(claim, confidence) -> Plan                                             (plan_samples.py)

What ends a loop at once is a HardStop with a code (hardstop.py), explained in docs/deft-hard-stops.md.
"""
