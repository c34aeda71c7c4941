"""Never two MASTERs: boot guard, hold, handing over, silence."""
