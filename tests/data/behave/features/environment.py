def before_feature(context, feature):
    if "archive" in feature.tags:
        raise OSError("the archive is shut")


def before_scenario(context, scenario):
    if "skip" in scenario.tags:
        scenario.skip("not before spring")
    if "hook" in scenario.tags:
        raise OSError("the store is shut")
