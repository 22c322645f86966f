"""What `import gridmargin` promises is there."""

import gridmargin


def test_every_public_name_is_found_where_it_is_promised():
    """Each name in `__all__` resolves, has a docstring, and nothing else is promised."""
    assert len(gridmargin.__all__) >= 10
    assert sorted(gridmargin.__all__) == sorted(gridmargin._HOME_OF)
    for name in gridmargin.__all__:
        found = getattr(gridmargin, name)
        assert found.__doc__, name
        assert found.__module__.startswith(f"gridmargin.{gridmargin._HOME_OF[name]}"), name


def test_the_seven_records_are_public():
    """From the publisher's number to the receipt."""
    records = {"Observation", "GridState", "MarginalEstimate", "Entry", "Reading", "Split", "Receipt"}
    assert records <= set(gridmargin.__all__)
