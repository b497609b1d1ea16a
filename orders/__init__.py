"""The domain of the order lifecycle: its model, its workflows and its ledger."""
