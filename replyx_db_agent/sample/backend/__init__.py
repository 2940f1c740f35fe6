"""The backend of ReplyX: assistants that answer customers in dialogs."""
