"""ejabberd: its Mnesia database, backed up and put back."""
