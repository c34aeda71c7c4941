"""What differs between platforms, one file each, behind the ports."""
