"""Has an exchange changed its protocol? Compare what each channel and poll sends with what is expected of it."""
