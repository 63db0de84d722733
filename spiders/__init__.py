"""One module a platform: how to recognise it, how to walk it, what its pages say."""
