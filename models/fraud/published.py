"""The baselines that the fraud detection handbook publishes, to compare with.

Source: "Reproducible Machine Learning for Credit Card Fraud Detection" (Le Borgne and others, ULB, 2022), section 3.4,
"Baseline fraud detection system", performances on the test set as printed in
Chapter_3_GettingStarted/BaselineModeling.ipynb of Fraud-Detection-Handbook/fraud-detection-handbook at commit
62ad580595010c572d738fda59343e7e113d16fa. The recipe is the same, the simulated world is another: these figures say
where a sound model of this kind lands, not which of two models is better.
"""

SOURCE = (
    "Fraud-Detection-Handbook/fraud-detection-handbook, Chapter_3_GettingStarted/BaselineModeling.ipynb, "
    "commit 62ad580595010c572d738fda59343e7e113d16fa"
)

PUBLISHED_BASELINES = {
    "logistic regression": {"auc_roc": 0.871, "average_precision": 0.606, "card_precision_100": 0.291},
    "decision tree, depth 2": {"auc_roc": 0.763, "average_precision": 0.496, "card_precision_100": 0.241},
    "decision tree, unlimited depth": {"auc_roc": 0.788, "average_precision": 0.309, "card_precision_100": 0.243},
    "random forest": {"auc_roc": 0.867, "average_precision": 0.658, "card_precision_100": 0.287},
    "xgboost": {"auc_roc": 0.862, "average_precision": 0.639, "card_precision_100": 0.273},
}
