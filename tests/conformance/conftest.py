"""The matrix of conformance, model by check, at the end of a test run."""

CHECKS = {
    "test_the_law_with_shared_masks": "law, shared",
    "test_the_law_with_own_masks": "law, own",
    "test_every_execution_gives_the_same_outputs": "executions",
    "test_what_is_switched_on_is_training_modes_dropout": "exact",
    "test_rows_see_one_function": "one function",
    "test_nobody_can_tell_that_the_model_was_used": "untouched",
    "test_a_seed_is_a_promise": "seed",
    "test_what_stays_off_is_listed": "off",
    "test_what_cannot_be_done_is_refused_by_name": "refused",
}


def pytest_terminal_summary(terminalreporter) -> None:
    table: dict[str, dict[str, str]] = {}
    for report in (one for reports in terminalreporter.stats.values() for one in reports):
        noted = dict(getattr(report, "user_properties", ()))
        if "conformance" not in noted:
            continue
        row = table.setdefault(noted["conformance"], {})
        check = CHECKS[report.nodeid.rpartition("::")[2].partition("[")[0]]
        row["execution"] = noted.get("execution") or row.get("execution", "")
        if report.failed or row.get(check) == "FAILED":
            row[check] = "FAILED"
        elif report.when == "call":
            row[check] = "ok"
    if not table:
        return
    terminalreporter.section("conformance")
    width = max(map(len, table))
    terminalreporter.line("  ".join(["".ljust(width), *CHECKS.values(), "execution"]))
    for model, row in table.items():
        cells = [row.get(check, "-").ljust(len(check)) for check in CHECKS.values()]
        terminalreporter.line("  ".join([model.ljust(width), *cells, row["execution"]]))
    failed = [model for model, row in table.items() if "FAILED" in row.values()]
    terminalreporter.line(
        f"{len(table)} models, {len(failed)} with a failed check" + "".join(f"\n  {m}" for m in failed)
    )
