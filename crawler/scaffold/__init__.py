"""What ``archive new spider`` fills in: a spider, its replica and its test, which hold together as they are."""
