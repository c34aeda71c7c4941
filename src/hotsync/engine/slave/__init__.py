"""The hourly work of a waiting SLAVE: packages, repositories, accounts, mute, readiness."""
