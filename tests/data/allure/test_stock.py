def test_adds_up():
    assert [1, 2] == [1, 3]
