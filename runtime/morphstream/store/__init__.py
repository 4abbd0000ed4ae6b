"""Where verified engines are kept on this machine: generations, of which one is current."""
