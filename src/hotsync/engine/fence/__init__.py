"""Making sure that the old MASTER does not serve, and trying that beforehand."""
