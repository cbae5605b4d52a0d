@archive
Feature: archive

  Scenario: keeps the order
    Given 19 and 23
